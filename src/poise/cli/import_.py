"""`poise import`: an official checkpoint as a model file of poise."""

from pathlib import Path
from typing import Annotated

from tyro.conf import Positional, arg

from poise.cli._inputs import CHECKPOINT
from poise.cli.options import ModelOutputOptions, Name

ModelName = Annotated[str, arg(metavar="NAME")]
Colour = Annotated[tuple[float, float, float] | None, arg(metavar="R G B")]
CheckpointFile = Annotated[Path, arg(metavar="CHECKPOINT"), CHECKPOINT]


def run(
    name: Positional[ModelName],
    checkpoint: Positional[CheckpointFile],
    /,
    *,
    output: ModelOutputOptions,
    codec: Name = None,
    keypoints: Annotated[tuple[str, ...], arg(metavar="NAME [NAME ...]")] = (),
    mean: Colour = None,
    std: Colour = None,
) -> int:
    """Turn an official checkpoint, or one of MMPose, into a model file.

    For example:

        poise import hrnet_w32_coco_256x192 pose_hrnet_w32_256x192.pth --out hrnet_w32.safetensors

        poise import keypoint_rcnn_R_50_FPN_3x model_final_a6e10b.pkl --out keypoint_rcnn.safetensors

        poise import hrnet_w32_coco_256x192 best.pth --keypoints nose tail left_paw right_paw --out own.safetensors

        poise import hourglass_4stack_b1_18j_256x256 real_animal.pth.tar --mean 0.5319 0.5107 0.4206 --out horse.safetensors

        poise import keypointrcnn_resnet50_fpn keypointrcnn_resnet50_fpn_coco-fc266e95.pth --out keypoint_rcnn.safetensors

    Args:
        name: Name of the model, as `poise zoo` lists it.
        checkpoint: File of the authors (.pth, .pth.tar, Detectron2's .pkl, MediaPipe's .tflite), one of torchvision's
            detectors, or an HRNet or Simple Baseline of MMPose; or the state of a training, of which the network is used. Code
            in it is not run.
        output: Files to write.
        codec: Another codec than that of the name, for weights trained with it, such as MMPose's UDP models: UDPGaussian.
        keypoints: Names of the keypoints, in the order of the checkpoint's, of a network that was fine-tuned on others than the
            name says. Left and right are told by them, and sigmas of OKS.
        mean: Mean that the checkpoint was trained with, red, green, blue, as shares of 255, where it is not the name's: each
            animal of Learning from Synthetic Animals has its own.
        std: Standard deviation, likewise.
    """
    from poise.models.require import require_image
    from poise.skeletons import from_category
    from poise.terminal import Console
    from poise.weights.model_file import save
    from poise.zoo.find import family_of
    from poise.zoo.importing import import_checkpoint

    output.check()
    family_of(name)  # a wrong name is told before the file is read
    skeleton = from_category({"name": "own keypoints", "keypoints": list(keypoints)}) if keypoints else None
    found = import_checkpoint(name, checkpoint, codec=codec, skeleton=skeleton, mean=mean, std=std)
    model = found.model
    save(model, output.out)
    console = Console()
    console.print(f"{checkpoint}: taken for {found.description}", soft_wrap=True, highlight=False)
    console.print(
        f"wrote {output.out}: {name}, {require_image(model).output_text}, licence: {model.card.licence}", soft_wrap=True
    )
    return 0
