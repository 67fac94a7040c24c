"""The flags of the commands, in groups: each flag, its default and its help stand here once.

A command takes groups as keyword arguments, and their fields are its flags. What a group decides is a method of it: it checks
its values, refuses flags that a model has no use for, and turns them into settings.
"""

from poise.cli.options.boxes import (
    BoxFileOptions,
    BoxOptions,
    MinScoreOptions,
    refuse_for_whole_images,
)
from poise.cli.options.decoding import (
    KEYPOINT_FIELDS,
    MAX_SIDE,
    TRAINING_FIELDS,
    CodecOptions,
    CropOptions,
    DecodingOptions,
    DetectionOptions,
)
from poise.cli.options.labels import (
    AnnotationOptions,
    DatasetOptions,
    EvalFilesOptions,
    ImageFolderOptions,
    MirrorOptions,
    NameOptions,
    OptionalImageFolderOptions,
)
from poise.cli.options.output import (
    EvalOutputOptions,
    FolderOutputOptions,
    ModelOutputOptions,
)
from poise.cli.options.running import (
    WORKERS,
    DeviceOptions,
    EvalRunOptions,
    FlipOptions,
    FlipRunOptions,
    InferenceOptions,
    PaddedRunOptions,
    ResamplingOptions,
    RunOptions,
    SeedOptions,
)
from poise.cli.options.scoring import (
    KeypointScoreOptions,
    RescoringOptions,
)
from poise.cli.options.training import (
    TrainingOptions,
)
from poise.cli.options.types import (
    AnnotationFile,
    Assignments,
    Factors,
    Folder,
    ModelFile,
    Name,
    Number,
    OptionalModelFile,
    Score,
)

__all__ = [
    "KEYPOINT_FIELDS",
    "MAX_SIDE",
    "TRAINING_FIELDS",
    "WORKERS",
    "AnnotationFile",
    "AnnotationOptions",
    "Assignments",
    "BoxFileOptions",
    "BoxOptions",
    "CodecOptions",
    "CropOptions",
    "DatasetOptions",
    "DecodingOptions",
    "DetectionOptions",
    "DeviceOptions",
    "EvalFilesOptions",
    "EvalOutputOptions",
    "EvalRunOptions",
    "Factors",
    "FlipOptions",
    "FlipRunOptions",
    "Folder",
    "FolderOutputOptions",
    "ImageFolderOptions",
    "InferenceOptions",
    "KeypointScoreOptions",
    "MinScoreOptions",
    "MirrorOptions",
    "ModelFile",
    "ModelOutputOptions",
    "Name",
    "NameOptions",
    "Number",
    "OptionalImageFolderOptions",
    "OptionalModelFile",
    "PaddedRunOptions",
    "ResamplingOptions",
    "RescoringOptions",
    "RunOptions",
    "Score",
    "SeedOptions",
    "TrainingOptions",
    "refuse_for_whole_images",
]
