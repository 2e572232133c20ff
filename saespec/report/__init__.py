"""`saespec report`: results as one page that opens from disk and can be mailed."""
