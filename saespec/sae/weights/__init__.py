"""From trained parameters to those that the products take, a map a file."""
