"""DNS: records of previews' hosts by dynamic update, and the examination of the previews' zone.

Everything that a name server says is data of a stranger: it is bounded, waited for only so long, and never believed
further than one answer reaches.
"""
