"""What is true of both packages."""
