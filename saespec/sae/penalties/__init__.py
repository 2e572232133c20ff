"""What makes codes sparse, a penalty a file. All take codes that are not negative."""
