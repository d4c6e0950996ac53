"""How kernels run: threads, FFT plans, the limits of CPUs and memory, and how a call is stopped."""
