"""The benchmarks. `python -m bench` measures everything, `python -m bench --quick` what needs no peers and no servers.

Everything is a ratio: what is compared runs in turns, in small batches, in one process, and CPU time is counted, so that
neither the machine nor what else it does decides a figure. The floor is one bare signature check of `cryptography`.
"""
