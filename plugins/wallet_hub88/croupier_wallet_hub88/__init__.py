"""The Hub88-style wallet protocol, as a dialect plugin of the hub: for operators who serve it already.

`dialect` is how the hub speaks it, `signing` how requests are proven, `amounts` how money is written, `statuses` what
an answer means, and `peer` a wallet that serves it, for tests. Built from public material; not endorsed or certified
by Hub88.
"""
