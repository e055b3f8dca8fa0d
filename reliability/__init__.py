"""How often each promise of Acceptor holds when it is attacked; a program beside the benchmarks."""
