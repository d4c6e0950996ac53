"""What volumes alone tell, without the views that they come from: their quality, and the size of what they show.

=============  ====================================================================
`correlation`  `fsc`: Fourier shell correlation of two volumes
`directions`   `conical_fsc`: the same within cones; `shells`, `curve` and `masks` serve both
`profiles`     `profile`: means about an axis; `about_axis` is what it returns
`regions`      which part of a volume the means are of; `frames`: the directions they go along
`measures`     a ring's diameter and width and a barrel's height, from such means
`cylinder`     samples of a volume on circles about an axis, and their means
=============  ====================================================================
"""
