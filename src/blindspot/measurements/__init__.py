"""What can be measured of a model: one object for each measurement, with everything known about it.

No torch. `registry` has them all.
"""
