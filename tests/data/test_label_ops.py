import torch

from poise.data.figures import FigureDataset
from poise.data.label_ops import flip_sample, trainable
from poise.structures import Labels


def test_the_masks_of_a_flipped_sample_are_flipped_with_its_image_and_keypoints():
    dataset = FigureDataset(1, size=(48, 64), per_image=(2, 2), seed=1)
    sample = dataset.sample_with_masks(0)
    flipped = flip_sample(sample, dataset.skeleton)
    assert torch.equal(flipped.masks, sample.masks.flip(2))
    assert torch.equal(flipped.image, sample.image.flip(2))
    for mask, box in zip(flipped.masks, flipped.labels.boxes, strict=True):
        columns = torch.where(mask.any(dim=0))[0]
        assert box[0] - 1 <= columns[0] <= columns[-1] <= box[2] + 1
    again = flip_sample(flipped, dataset.skeleton)
    assert torch.equal(again.masks, sample.masks)
    assert torch.equal(again.ignore, sample.ignore)


def test_people_without_labels_or_box_and_crowds_are_not_trained_on():
    visible = torch.tensor([[2, 0], [0, 0], [2, 2], [1, 0]])
    boxes = torch.tensor([[0.0, 0, 5, 5], [0, 0, 5, 5], [3, 3, 3, 9], [0, 0, 5, 5]])
    labels = Labels.of(torch.zeros(4, 2, 2), visible, boxes)
    labels.crowd[3] = True
    assert trainable(labels).tolist() == [True, False, False, False]
    assert trainable(labels, crowd=True).tolist() == [True, False, False, True]
