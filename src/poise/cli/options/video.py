"""Flags of videos."""

from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Annotated

from tyro.conf import arg

from poise.errors import InputError

if TYPE_CHECKING:
    from poise.inference.video import VideoSettings


@dataclass(frozen=True, kw_only=True)
class VideoOptions:
    """How a video is read, and what is written of it.

    Attributes:
        as_video: The images of a folder are frames of a video, in the order of the numbers in their names.
        every: Every how manieth frame of a video is looked at.
        start: Second of the video at which to begin.
        end: Second of the video at which to stop.
        rate: Frames a second of a folder or a pattern (30), or of a video file that says a wrong rate.
        detect_every: Frames of a video from one run of the detector to the next; in between people are followed by their
            keypoints. 1 runs it in every frame.
        smooth: Smoothers of a video: none, or some of median (single jumps), fill (gaps of up to --gap frames, marked), and
            one-euro or kalman.
        gap: Longest gap of a person or a keypoint in a video that the smoother fill fills, frames. As many frames are kept in
            memory; 60 bridge most people who pass behind somebody.
        track_score: Pose score from which somebody in a video gets an id; a person with one is followed to lower scores.
        max_lost: Frames for which a person of a video who is not seen keeps the id.
        follow_set: Fields of how people are followed between runs of the detector, such as growth=1.3 duplicate=0.8
            (`inference.follow.FollowSettings`).
        track_set: Fields of the tracker, such as reach=0.2 confirm=3 (`tracking.tracker.TrackSettings`).
        causal: Smoothers do not wait for later frames, as with a camera.
        appearance: Colours of people help to tell them apart.
        no_video: No annotated video is written.
        live: Show the frames in a window, or, where there is none, frames a second. Closing it, q or Esc end the run of a
            camera; a file is worked on to its end.
        report: Write report.html: contact sheet, people over time, gaps and jumps.
        also: Further results of a video: coco (predictions.json), csv, parquet, dlc (DeepLabCut's .h5), dlc-csv, sleap,
            movement, openpose.
        resume: Go on where an earlier run with the same settings stopped, with a video or with photographs.
    """

    as_video: bool = False
    every: int = 1
    start: float = 0.0
    end: Annotated[float | None, arg(metavar="SECONDS")] = None
    rate: Annotated[float | None, arg(metavar="N")] = None
    detect_every: int = 10
    smooth: Annotated[tuple[str, ...], arg(metavar="NAME [NAME ...]")] = ("one-euro",)
    gap: int = 5
    track_score: float = 0.2
    max_lost: int = 30
    follow_set: Annotated[tuple[str, ...], arg(metavar="FIELD=VALUE [FIELD=VALUE ...]")] = ()
    track_set: Annotated[tuple[str, ...], arg(metavar="FIELD=VALUE [FIELD=VALUE ...]")] = ()
    causal: bool = False
    appearance: bool = False
    no_video: bool = False
    live: bool = False
    report: bool = False
    also: Annotated[tuple[str, ...], arg(metavar="NAME [NAME ...]")] = ("coco", "csv")
    resume: bool = False

    def settings(self, *, whole_image: bool, min_score: float, min_area: float = 0.0) -> "VideoSettings":
        """The values of these flags.

        Args:
            whole_image: Whether each frame shows one person who fills it.
            min_score: People of a lower score are left out; 0 leaves nobody out.
            min_area: People whose box has a smaller area, square pixels, are left out.

        Raises:
            InputError: A number is out of its range, or smoothers do not go together.
            UnknownName: There is no such smoother or field.
        """
        from poise.inference.follow import FollowSettings
        from poise.inference.video import VideoSettings
        from poise.recipes.fields import changed_fields
        from poise.tracking.tracker import TrackSettings

        follow = FollowSettings(detect_every=self.detect_every, min_score=min(0.15, self.track_score))
        track = TrackSettings(min_score=self.track_score, low_score=min(0.05, self.track_score), max_lost=self.max_lost)
        return VideoSettings(
            every=self.every,
            start=self.start,
            end=self.end,
            follow=changed_fields(follow, self.follow_set, what="following people", such="growth=1.3"),
            track=changed_fields(track, self.track_set, what="the tracker", such="reach=0.2"),
            causal=self.causal,
            smooth=tuple(name for name in self.smooth if name != "none") if len(self.smooth) == 1 else self.smooth,
            gap=self.gap,
            appearance=self.appearance,
            whole_image=whole_image,
            min_score=min_score or None,
            min_area=min_area,
        )

    def refuse_for_photographs(self) -> None:
        """Refuse flags of videos where photographs were given.

        Raises:
            InputError: One was given.
        """
        given = [f.name.replace("_", "-") for f in fields(self) if getattr(self, f.name) != f.default and f.name != "resume"]
        if given:
            raise InputError(
                f"--{given[0]} is for videos, and photographs were given; a folder of frames in order is a video with "
                "--as-video"
            )
