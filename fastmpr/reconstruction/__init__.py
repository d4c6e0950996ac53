"""From a data set to one volume: the main job, views that saw a part, and the methods of before."""
