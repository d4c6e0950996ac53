"""What runs the kernels: threads, FFT plans, what the process may use of the machine, and when a call is to stop."""
