"""The table of all commands: what each does, its options, and where it is. Adding a command is adding a row."""

from typing import NamedTuple


class Command(NamedTuple):
    """One command.

    Args:
        function: Where it is, as ``module:function`` below ``vitcli.commands``.
        usage: The words that follow its name.
        help: What it does, in one line.
        example: A command line that works in a clone of the project.
        options: Each option with its meaning.
    """

    function: str
    usage: str
    help: str
    example: str = ""
    options: tuple[tuple[str, str], ...] = ()

    @property
    def reads_configuration(self) -> bool:
        """Whether the command reads a whole configuration, so that every key can be set on its command line."""
        return self.options[: len(CONFIGURATION)] == CONFIGURATION


CONFIGURATION = (
    ("--config FILE", "a configuration; a later file is laid over the ones before"),
    (
        "--KEY VALUE",
        "set one key by its dotted path, for example --trainer.max_epochs 5; --KEY+ VALUE appends to a list",
    ),
    (
        "--help KEY",
        "say what can stand at a key: --help trainer, or after --config FILE --help model.backbone.every.feed_forward",
    ),
    ("--print_config", "print every value that would be used, and end"),
    ("--runs DIR", "directory of the results (default: runs)"),
    ("--threads N", "number of CPU threads that torch uses in each process"),
)
"""Options of the commands that read a whole configuration."""

SCORING = (*CONFIGURATION, ("--ckpt_path FILE", "the checkpoint"))
WEIGHTS = (
    "--weights ema|last",
    "with RUN: averaged weights, or those of the last step (default: averaged if there are any)",
)
KEYS = "Keys at the top: trainer, model, data, ablation, seed_everything, threads, runs, ckpt_path; --help KEY lists those below."


COMMANDS = {
    "fit": Command(
        "fit:main",
        "--config FILE [--config FILE ...] [--KEY VALUE ...]",
        "train every arm of the file's ablation with every seed, then write the report; see below",
        "vitcli fit --config ablations/localvit_act.yaml --ablation.only h_swish --ablation.seeds 3",
        (
            *CONFIGURATION,
            ("--ablation.only ARM[,ARM]", "run these arms alone"),
            ("--retry failed", "run failed trials again as well"),
            ("--quick", "leave out the rehearsal, which tries each new arm on one batch before the first trial"),
            ("--launcher NAME", "where trials run: local (default), slurm or ray"),
            ("--ckpt_path FILE", "for a single run: the checkpoint from which training continues"),
        ),
    ),
    "plan": Command(
        "plan:main",
        "FILE [--format table|json] [--quick]",
        "show what fit would run: arms, differences, costs, finished trials; try each arm on one batch",
        "vitcli plan ablations/localvit_act.yaml --ablation.seeds 3",
        (
            ("--format FORM", "table (default) or json"),
            ("--quick", "leave out the rehearsal, which trains each arm on one batch and tests it on one"),
            ("--KEY VALUE", "set one key, as in fit"),
        ),
    ),
    "speed": Command(
        "speed:main",
        "FILE",
        "measure how fast the arms train and infer on this machine, and their memory; fit does this at its end",
        "vitcli speed ablations/localvit_act.yaml",
        (("--KEY VALUE", "set one key, as in fit"),),
    ),
    "cost": Command(
        "cost:main",
        "--config FILE [--format text|json]",
        "print the parameters and multiply-adds of a whole network; neither weights nor data are needed",
        "vitcli cost --config ablations/recipes/dense/ade20k_upernet_160k.yaml",
        (
            ("--config FILE", "a configuration; a later file is laid over the ones before"),
            ("--cost.height PIXELS, --cost.width PIXELS", "size of the image (default: that of the data's images)"),
            ("--format FORM", "text (default) or json"),
            ("--KEY VALUE", "set one key, as in fit"),
        ),
    ),
    "validate": Command(
        "evaluate:validate",
        "--config FILE --ckpt_path FILE",
        "score a checkpoint on the validation split",
        "vitcli validate --config runs/NAME/fit0/config.yaml --ckpt_path runs/NAME/fit0/last.ckpt",
        SCORING,
    ),
    "test": Command(
        "evaluate:test",
        "RUN [--data.KEY VALUE ...] | --config FILE --ckpt_path FILE",
        "score a run on the test split, optionally with another protocol, and measure its throughput; or score a checkpoint",
        "vitcli test runs/NAME/fit0 --data.crop_pct 1.0",
        (
            *SCORING,
            ("--img_size PIXELS", "with RUN: another size of images; tables of positions are interpolated"),
            WEIGHTS,
        ),
    ),
    "predict": Command(
        "evaluate:predict",
        "RUN IMAGE... --out DIR | --config FILE --ckpt_path FILE",
        "classify images, or draw segmentations and detections; or pass a split's predictions to the trainer's callbacks",
        "vitcli predict runs/NAME/fit0 photos --out predictions",
        (
            *SCORING,
            (
                "--out DIR",
                "with RUN: directory of predictions.csv, predictions.json and the contact sheet; of segmentation and detection, "
                "a picture of each image and predictions.json",
            ),
            WEIGHTS,
        ),
    ),
    "export": Command(
        "export:main",
        "RUN --format onnx|torch_export|safetensors|timm [--out PATH]",
        "write a trained model for other programs, and check that the file computes the same",
        "vitcli export runs/NAME/fit0 --format onnx",
        (
            ("--format FORM", "onnx, torch_export (.pt2), safetensors, or timm (a directory for timm.create_model)"),
            ("--out PATH", "the file, or for timm the directory (default: in the run's directory)"),
            WEIGHTS,
        ),
    ),
    "report": Command(
        "report:main",
        "DIR [--format all|terminal] [--no-figures]",
        "write the report of an ablation again, from the results that are in its directory now",
        "vitcli report runs/localvit_act",
        (
            (
                "--format FORM",
                "all (default: terminal, Markdown, HTML, LaTeX and CSV) or terminal (print the table, write no file)",
            ),
            ("--no-figures", "write the pages without drawing the figures"),
        ),
    ),
    "compare": Command(
        "compare:main",
        "DIR1 DIR2 [--format table|markdown|csv]",
        "compare the same arms in two directories, for example of two versions of the code or two machines",
        "vitcli compare runs/localvit_act old/localvit_act --format markdown",
        (("--format FORM", "table (default), markdown or csv"),),
    ),
    "data": Command(
        "data:main",
        "check DIR|FILE.json [--test_split FOLDER] [--channels N] [--images DIR] [--format text|json]",
        "look at every image of a folder: classes, sizes, damaged files; for labels of pixels and objects every fault",
        "vitcli data check ~/imagenet --test_split val",
        (
            ("--test_split FOLDER", "folder of the test set (default: test if there is such a folder, else val)"),
            ("--channels N", "channels to which images are decoded (default: 3)"),
            ("--images DIR", "with a COCO JSON file: the folder of its images (default: the file's own)"),
            ("--format FORM", "text (default) or json"),
        ),
    ),
    "answers": Command(
        "answers:main",
        "[NAME ...]",
        "print the answers that are kept beside the ablation files, or one in full",
        "vitcli answers localvit_act",
        (
            ("--keep DIR", "keep the answer of a finished run, with the records of all its trials"),
            ("--index", "write the table of all questions in the folder's README.md anew"),
            (
                "--check",
                "repeat one trial of each named answer, by default of three with different baselines, and compare",
            ),
            ("--folder DIR", "folder of the ablation files (default: ablations)"),
        ),
    ),
    "dashboard": Command(
        "dashboard:main",
        "DIR",
        "show an ablation or a run in TensorBoard, on this machine only",
        "vitcli dashboard runs/localvit_act",
        (("--port N", "default: 6006, or the next free one; 0: any free one"),),
    ),
    "list": Command(
        "list:main",
        "[PATTERN] [--format table|markdown|json]",
        "print the models, their costs and the published numbers",
        "vitcli list 'pvt*' --format markdown",
        (("PATTERN", "names of models, with * and ?"), ("--format FORM", "table (default), markdown or json")),
    ),
    "convert": Command(
        "convert:main",
        "MODEL FILE.pth FILE.safetensors",
        "write a public checkpoint with this project's parameter names",
        "vitcli convert pvt_tiny pvt_tiny.pth pvt_tiny.safetensors",
    ),
    "show": Command(
        "show:main",
        "attention OP | attention --all",
        "draw which tokens a query sees in an op, measured by gradient: in the terminal, and as a picture with --out",
        "vitcli show attention PaleAttention --init.pale 4 --out pale.png",
        (
            ("OP", "an op of vitcore, for example PaleAttention, or the import path of another"),
            (
                "--all",
                "draw vitcore's ops side by side into one file, or each into a file of its own if --out is a directory",
            ),
            ("--init.NAME VALUE", "an argument of the op (default: those of the picture in docs/ops.md)"),
            ("--height H, --width W", "tokens of the map (default: 16 x 16)"),
            ("--query ROW,COLUMN", "the token that looks (default: off the centre)"),
            ("--channels C", "the op's width (default: 64)"),
            ("--out PATH", "a .png or .svg file; with --all also a directory"),
        ),
    ),
    "completion": Command(
        "completion:main",
        "bash|zsh|fish",
        "print the script with which a shell completes commands, options and files",
        "vitcli completion bash > ~/.local/share/bash-completion/completions/vitcli",
    ),
}
