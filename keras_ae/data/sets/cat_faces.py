"""cat_faces for tensorflow-datasets: the public data sets of 64x64 cat faces, read from files that the user downloaded."""

import zipfile
from pathlib import Path

import tensorflow_datasets as tfds

SUFFIXES = {".jpg", ".jpeg", ".png"}


class CatFaces(tfds.core.GeneratorBasedBuilder):
    """Photographs of cat faces, 64x64 RGB, without classes. The files have no split and include thousands of exact copies."""

    VERSION = tfds.core.Version("1.0.0")
    RELEASE_NOTES = {"1.0.0": "First version."}
    BUILDER_CONFIGS = [
        tfds.core.BuilderConfig(name="cats-faces-64x64-for-generative-models", description="15,747 jpg files."),
        tfds.core.BuilderConfig(name="Cat-faces-dataset", description="29,843 png files."),
    ]
    MANUAL_DOWNLOAD_INSTRUCTIONS = """
    Download 'cats-faces-64x64-for-generative-models' (Kaggle) or 'Cat-faces-dataset' (GitHub). Put the zip file, or a folder
    with its contents, into the manual directory under the name of the configuration, such as
    'cats-faces-64x64-for-generative-models.zip'.
    """

    def _info(self):
        return tfds.core.DatasetInfo(
            builder=self,
            description="Cat faces of 64x64 pixels, cropped from photographs on the web; the owners are unknown.",
            features=tfds.features.FeaturesDict(
                {"image": tfds.features.Image(shape=(None, None, 3)), "file_name": tfds.features.Text()}
            ),
        )

    def _split_generators(self, dl_manager):
        manual = Path(dl_manager.manual_dir)
        name = self.builder_config.name
        # the manual directory may be the folder of picture files itself
        candidates = [manual / f"{name}.zip", manual / name, *sorted(manual.glob("*.zip")), manual]
        found = next((path for path in candidates if path.exists()), manual)
        return {"train": self._generate_examples(found)}

    def _generate_examples(self, path):
        if path.suffix == ".zip":
            with zipfile.ZipFile(path) as archive:
                for name in sorted(archive.namelist()):
                    if Path(name).suffix.lower() in SUFFIXES and not Path(name).name.startswith("."):
                        with archive.open(name) as file:
                            yield name, {"image": file, "file_name": name}
        else:
            for file in sorted(path.rglob("*")):
                if file.suffix.lower() in SUFFIXES and not file.name.startswith("."):
                    name = str(file.relative_to(path))
                    yield name, {"image": str(file), "file_name": name}
