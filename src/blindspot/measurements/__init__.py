"""What can be measured of a model: one object for each measurement, with all that is known of it.

No torch. `registry` has them all.
"""
