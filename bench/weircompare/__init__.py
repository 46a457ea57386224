"""weircompare: servers on identical workloads, from one command to a report.

Read in this order: experiment (what a data file says), runs (the order of
things), then servers, loads, disk, measures (what a run needs), and stats,
claims, svg, report, terminal (what is made of it).  Python's standard library
only.
"""
