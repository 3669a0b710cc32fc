"""Random faults, many at once, on real daemons; and an oracle that compares what was due with what happened."""
