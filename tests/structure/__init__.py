"""What types cannot say, read from the source itself. Each check finds the bad case that is planted for it."""
