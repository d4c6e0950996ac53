"""What volumes tell of their quality: Fourier shell correlation, in all directions together and in each, and profiles."""
