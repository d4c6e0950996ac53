"""What is compiled: loops over voxels and frequencies, and the cache of their machine code.

Kernels are serial and release the GIL; `runtime.threads.Team` runs them side by side on disjoint slabs of planes or
blocks of rows. What tells the compiled code of one version from that of another covers this folder alone, so kernels take
no function and no constant from elsewhere.
"""
