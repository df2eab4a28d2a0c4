"""Pictures of Region trees and of memory over time, in the course's one picture language."""

from course_lib.draw.film import Film, Lane, Shot
from course_lib.draw.heatmap import Axis, Heatmap
from course_lib.draw.palette import PALETTE, Kind
from course_lib.draw.picture import Picture, Series, bars, picture, timeline

__all__ = [
    "PALETTE",
    "Axis",
    "Film",
    "Heatmap",
    "Kind",
    "Lane",
    "Picture",
    "Series",
    "Shot",
    "bars",
    "picture",
    "timeline",
]
