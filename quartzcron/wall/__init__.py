"""Which days and times of day an expression names, as masks and tables. No zones, no clock, no text."""
