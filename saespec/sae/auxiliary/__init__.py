"""What keeps latents alive by a second decoding, one way a file."""
