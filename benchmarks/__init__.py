"""The benchmark suite of airspeed velocity (asv), and `peers`, which runs other libraries on the same problem."""
