"""Settings of the images: which ones, how many, and how they are changed."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field

from zarts.config.base import SUPERNET, Settings, setting
from zarts.config.types import Images, Jitter, Pixels, Processes, Seed

__all__ = ["DataSettings", "SearchDataSettings"]


class DataSettings(Settings):
    """Settings of the images that searching and retraining share."""

    data: str = setting(
        "digits",
        "digits, cifar10, cifar100, cifar100-p-darts, mnist, fashion-mnist, svhn, imagenet, imagenet16, "
        "imagenet16-120, a folder with a sub-folder of images for each class or of IDX files, a file .csv with the "
        "columns file and label, or .npz",
        panel="Data",
    )
    data_dir: Path = setting(
        Path("~/.cache/zarts"), "folder of the named data sets; missing ones are downloaded to it", panel="Data"
    )
    image_size: Pixels | None = setting(
        None,
        "images are resized to this many pixels a side (default: their own; 32 for a folder, 224 for imagenet)",
        panel="Data",
        ge=8,
        multiple_of=4,
    )
    image_cache: Literal["auto", "memory", "streamed"] = setting(
        "auto",
        "where the images of a folder are kept: all in memory, or streamed, decoded when a batch needs them; auto: "
        "streamed if they take more than a quarter of the free memory",
        panel="Data",
        used_by=SUPERNET,
    )
    workers: Processes | None = setting(
        None,
        "threads that decode streamed images and change images one by one (default: one a processor, 8 at most)",
        panel="Data",
        used_by=SUPERNET,
        resumable=True,
        ge=1,
    )
    allow_left_out: bool = setting(
        False,
        "go on where more than 5 % of the images are left out, because they are damaged, are no images, or would leak "
        "from the test; they are listed in left_out.csv",
        panel="Data",
        used_by=SUPERNET,
    )
    group_by: str | None = setting(
        None,
        "keep images of a group, such as the frames of a film or the pictures of a patient, in one part: a regular "
        "expression that is searched in file names and whose first bracket is the group ('^([^_]+)_'), or a file .csv "
        "with the columns file and group",
        panel="Data",
    )
    subset: Annotated[Images, Field(ge=2)] | Annotated[float, Field(gt=0, lt=1)] | None = setting(
        None,
        "use only this many training images, or this share of them (0.25), drawn class by class",
        panel="Data",
        used_by=SUPERNET,
    )
    split_seed: Seed = setting(
        0,
        "draws the subset and, for a folder without test/, the test images; --seed changes neither",
        panel="Data",
    )
    crop: Literal["pad", "resized"] = setting(
        "pad",
        "random crop; pad: of the original size, after padding; resized: of 8 to 100 % of the area, resized, as on "
        "ImageNet (tests then use the centre, 224 / 256 of the shorter side)",
        panel="Data",
        used_by=SUPERNET,
    )
    crop_padding: Pixels | None = setting(
        None,
        "random crop after this many pixels of padding (default: image size / 8, the paper's 4 at 32)",
        panel="Data",
        used_by=SUPERNET,
        ge=0,
    )
    color_jitter: Jitter = setting(
        (),
        "strengths of random brightness, contrast, saturation and hue (DARTS on ImageNet: 0.4,0.4,0.4,0.2)",
        panel="Data",
        used_by=SUPERNET,
    )
    flip: bool | None = setting(
        None, "random horizontal flip (default: the data set's; not for digits)", panel="Data", used_by=SUPERNET
    )


class SearchDataSettings(DataSettings):
    """Settings of the images of a search."""

    cutout: Pixels = setting(
        0, "side of the square cut out of every image, in pixels; 0: none", panel="Data", used_by=SUPERNET, ge=0
    )
