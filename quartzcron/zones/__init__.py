"""From wall time to instant and back: zones by name, changes of the offset, the two policies for gaps and overlaps."""
