"""Publish an export on the Hugging Face Hub: python -m keras_ae.publish --to hf://NAME/MODEL --license mit

Every command, and `keras_ae.load`, then takes hf://NAME/MODEL as a model.
"""

from pathlib import Path

from keras_ae.commandline import MODEL, command, option


@command(
    MODEL,
    option("--to", required=True, metavar="hf://NAME/MODEL", help="where to publish it"),
    option("--license", required=True, metavar="NAME", help="licence of the model, in the hub's words, such as mit"),
    option("--dry-run", action="store_true", help="list what would be published"),
    keras=False,
)
def main(arguments):
    from keras_ae.exports import hub
    from keras_ae.exports.load import check_folder

    check_folder(Path(arguments.model))
    files, page = hub.publish(arguments.model, arguments.to, arguments.license, arguments.dry_run)
    if arguments.dry_run:
        print(*[f"{digest}  {name}" for name, digest in files.items()], sep="\n")
    print(f"{len(files) + 2} files of {arguments.model}, licence {arguments.license} -> {arguments.to}: {page}")
