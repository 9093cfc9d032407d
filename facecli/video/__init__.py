"""Moving pictures: frames by time, the tracks of people in them, one template a track.

frames: a clip's frames through OpenCV, `libav` through PyAV where that is needed, `live` those of a
camera. tracks: which faces of which frames are one appearance of one person. templates: frames to
tracks with templates. It may import `threshold` and what lies below. It must never know a gallery's
people, decide who somebody is, or draw.
"""
