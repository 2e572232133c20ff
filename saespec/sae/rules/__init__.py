"""What training does beside the optimiser's steps, a rule a file."""
