"""ImageNet in its folder: `train/` and `val/` with a sub-folder a class."""

from __future__ import annotations

from dataclasses import replace

from zarts.data.folder import Known, load_folder
from zarts.data.images import DataSet
from zarts.data.request import Request
from zarts.errors import DataError

__all__ = ["load_imagenet"]

_SIZE = 224
_KNOWN = Known((0.485, 0.456, 0.406), (0.229, 0.224, 0.225), tests=("val", "test"))


def load_imagenet(name: str, request: Request) -> DataSet:
    """The images in `data_dir/imagenet`: `train/CLASS` and, for the test, `val/CLASS`, or `test/CLASS` without `val/`.

    Its 1,281,167 training images at 224×224 would take 193 GB of memory: they are streamed as a rule.

    Raises:
        DataError: the folder is not there (ImageNet's licence lets nobody else offer it for download), or not so.

    Source: Russakovsky et al., ImageNet Large Scale Visual Recognition Challenge (2015); mean and deviation as in the
        code of DARTS and its peers.
    """
    folder = request.data_dir / name
    if not folder.is_dir():
        raise DataError(
            f"{folder}: not found; get ImageNet (ILSVRC 2012) from https://image-net.org and put its images there, as "
            "train/CLASS/*.JPEG and val/CLASS/*.JPEG, or set --data-dir to the folder in which `imagenet` is"
        )
    size = request.image_size or _SIZE
    return replace(load_folder(folder, replace(request, image_size=size), _KNOWN), name=name)
