"""How things are computed: compiled kernels, threads, FFT plans. Nothing here knows what a particle is."""
