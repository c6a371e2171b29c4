"""The table of the moves: for each room, today's modules and the ones to take."""

from __future__ import annotations

from typing import Any

Z = "zarts."


def same_room(room: str, **names: str) -> dict[str, Any]:
    """New name to the old one, or several joined by `+`, in one room."""
    moves: dict[str, Any] = {}
    for new, old in names.items():
        olds = [f"zarts.{room}.{o}" for o in old.split("+")]
        moves[f"zarts.{room}.{new}"] = olds[0] if len(olds) == 1 else olds
    return moves


ROOMS: dict[str, dict[str, Any]] = {
    "config": {
        "moves": same_room(
            "config",
            components="axes",
            base="common",
            preset_files="files",
            resolve="layers+keywords",
            types="lists",
            validate="refusals",
            retrain="retraining",
            phases="schedule",
        ),
        "files": {"src/zarts/presets": "src/zarts/config/presets"},
        "edits": [
            (
                "tests/unit/test_config.py",
                '(resources.files("zarts") / "presets"',
                '(resources.files("zarts.config") / "presets"',
            ),
            ("docs/retraining.md", "src/zarts/presets/", "src/zarts/config/presets/"),
            (
                "src/zarts/config/preset_files.py",
                'resources.files("zarts") / "presets"',
                'resources.files("zarts.config") / "presets"',
            ),
        ],
    },
    "kernels": {"moves": same_room("kernels", allocator="buffers", bindings="calls")},
    "runtime": {
        "splits": [
            (
                "zarts.engine.join",
                ["started", "check_alone"],
                "zarts.engine.ranks_started",
                "How many ranks there are.",
            ),
            ("zarts.engine.device", ["native_kernels"], "zarts.engine.supernets", ""),
        ],
        "moves": {
            "zarts.runtime.io": "zarts.files",
            "zarts.runtime.seed": "zarts.seeds",
            "zarts.runtime.system_memory": "zarts.memory",
            "zarts.runtime.distributed": ["zarts.ranks", "zarts.engine.ranks_started"],
            "zarts.runtime.device": "zarts.engine.device",
            "zarts.runtime.environment": "zarts.engine.environment",
            "zarts.runtime.signals": "zarts.engine.stop",
            "zarts.runtime.precision": "zarts.engine.passes",
            "zarts.runtime.measure": ["zarts.engine.allocations", "zarts.engine.memory", "zarts.engine.fit"],
        },
        "docs": {
            "zarts.runtime.distributed": "The ranks of a distributed run, and the little that they tell each other.",
            "zarts.runtime.measure": "Memory of tensors, of this process and of its device, in bytes.",
        },
        "inits": {
            "zarts.runtime": (
                "Device, precision, ranks, signals, memory, seeds and files: what every run needs of the machine.\n\n"
                "Import from its modules; this page imports none of them, so that `io` stays free of torch.\n",
                [],
            )
        },
    },
    "spaces": {
        "before": [
            ("src/zarts/spaces/darts_string.py", "def from_string(", "def from_darts_string("),
            ("src/zarts/spaces/darts_string.py", "def to_string(", "def to_darts_string("),
            (
                "src/zarts/spaces/darts_string.py",
                '"from_string", "to_string"',
                '"from_darts_string", "to_darts_string"',
            ),
            (
                "src/zarts/spaces/notations.py",
                "from zarts.spaces import darts_string, nasbench201",
                "from zarts.spaces import nasbench201\nfrom zarts.spaces.darts_string import from_darts_string, to_darts_string",
            ),
            ("src/zarts/spaces/notations.py", "`darts_string.from_string`", "`from_darts_string`"),
            ("src/zarts/spaces/notations.py", "darts_string.from_string(", "from_darts_string("),
            ("src/zarts/spaces/notations.py", "darts_string.to_string(", "to_darts_string("),
        ],
        "moves": same_room("spaces", formats="notations+darts_string", custom="own", subspace="part", zoo="published"),
    },
    "zo": {
        "moves": same_room(
            "zo", third_party="external+libraries", mgs="guided", validation="settings", mgs_weights="weights"
        ),
        "docs": {"zarts.zo.third_party": "Optimisers of the packages cmaes and nevergrad, behind our ask and tell."},
    },
    "data": {
        "moves": same_room(
            "data",
            prefetch="ahead",
            download="archive",
            in_memory="arrays",
            batch_transforms="augment",
            image_io="decode",
            image_folder="folder",
            file_index="listing",
            builtin="named",
            imagenet="imagenet+imagenet16",
            safe_pickle="pickles",
            streaming="streamed",
            transforms="samples",
            loader="batches",
            dataset="images",
            config="request",
        ),
        "docs": {"zarts.data.imagenet": "ImageNet, and its copies in 16×16 pixels of NAS-Bench-201."},
    },
    "relax": {
        "moves": same_room(
            "relax",
            random_cells="cells",
            parameterization="encoding",
            context="moment",
            gaussian="noisy",
            proxyless="path",
            smooth_darts="perturbed",
        ),
    },
    "networks": {
        "moves": {
            **{
                f"zarts.networks.{new}": f"zarts.nets.{old}"
                for new, old in {
                    "operations": "operations",
                    "custom_ops": "own",
                    "stem": "stem",
                    "macro": "skeleton",
                    "network": "network",
                    "factory": "found",
                    "auxiliary_head": "auxiliary",
                    "memory_format": "layout",
                    "init": "seeding",
                    "activation_checkpointing": "recompute",
                    "sync_batchnorm": "shared_norm",
                    "nasbench201": "nasbench201",
                }.items()
            },
            "zarts.networks.depthwise": ["zarts.nets.depthwise", "zarts.nets.dilated"],
            **{
                f"zarts.supernet.{new}": f"zarts.nets.{old}"
                for new, old in {
                    "supernet": "supernet",
                    "factory": "build",
                    "mixed_cell": "mixed",
                    "edge_ops": "edges",
                    "merged_ops": "merged",
                    "batched_ops": "stacked",
                    "partial_channels": "bypass",
                    "active_ops": "routes",
                    "nasbench201_cell": "nasbench201_mixed",
                    "nasbench201": "nasbench201_supernet",
                    "drop": "dropping",
                    "weight_inheritance": "inherit",
                }.items()
            },
            "zarts.limits.profiler": "zarts.nets.costs",
            "zarts.limits.macs": "zarts.nets.count",
        },
        "emptied": ["zarts.nets"],
        "inits": {
            "zarts.networks": (
                "Plain networks: operations, stems, and the derived network of a genotype; nothing here shares weights.\n\n"
                "Outside, use the names below; `register_operation` adds an operation of your own.\n",
                [
                    "AnyNetwork",
                    "build_network",
                    "create_nasbench201",
                    "Network",
                    "Part",
                    "create_model",
                    "OPERATIONS",
                    "build_operation",
                    "load_operations",
                    "register_operation",
                    "Recompute",
                    "recompute_cells",
                    "seeded",
                    "share_norms",
                    "cell_channels",
                    "STEMS",
                ],
            ),
            "zarts.supernet": (
                "Supernets: networks in which all candidate cells share weights, mixed, partial or merged.\n\n"
                "Outside, use `build_supernet` and the classes below; cells and edges are made by them.\n",
                [
                    "FORMS",
                    "SUPERNETS",
                    "AnySuperNet",
                    "build_supernet",
                    "supernet_weights",
                    "NasBench201SuperNet",
                    "SuperNet",
                ],
            ),
            "zarts.limits": (
                "What a network costs, and the networks within limits: parameters and multiply-adds (MACs).\n\n"
                "Outside, use the names below.\n",
                ["Cost", "count_costs", "count_mult_adds", "count_parameters"],
            ),
        },
        "edits": [
            ("src/zarts/__init__.py", '"zarts.nets"', '"zarts.networks"'),
        ],
    },
    "bilevel": {"moves": same_room("bilevel", evaluator="candidates", hessian="curvature", anova="variance")},
    "limits": {
        "moves": {"zarts.limits.constraints": ["zarts.select.within", "zarts.engine.costs"]},
        "docs": {
            "zarts.limits.constraints": "Genotypes within limits, and what a search is told about the cost of its networks."
        },
        "inits": {
            "zarts.limits": (
                "What a network costs, and the networks within limits: parameters and multiply-adds (MACs).\n\n"
                "Outside, use the names below.\n",
                [
                    "Cost",
                    "count_costs",
                    "count_mult_adds",
                    "count_parameters",
                    "FINAL_NETWORKS",
                    "Costs",
                    "Limit",
                    "Within",
                ],
            ),
        },
    },
    "arch_optim": {"moves": {}, "folders": {"zarts.updates": "zarts.arch_optim"}},
    "select": {"moves": same_room("select", connectivity="connected", skip_limit="skips", context="trained")},
    "runs": {
        "moves": {
            "zarts.runs.run_dir": "zarts.engine.run",
            "zarts.runs.checkpoint": "zarts.engine.files",
            "zarts.runs.user_files": "zarts.own",
            "zarts.runs.new_run": "zarts.folders",
        },
        "inits": {
            "zarts.runs": (
                "Run folders: settings, events, results and checkpoints, and the user's own files in them.\n\n"
                "Outside, use `Run`; whatever a run leaves behind is written and read through it.\n",
                ["Run", "genotype_file"],
            )
        },
    },
    "searcher": {
        "moves": {
            "zarts.searcher.searcher": "zarts.engine.search_job",
            "zarts.searcher.run_search": ["zarts.engine.search", "zarts.engine.drawn"],
            "zarts.searcher.finalizer": "zarts.engine.choice",
            "zarts.searcher.early_stopping": "zarts.engine.early_stop",
            "zarts.searcher.halves": "zarts.engine.halves",
            "zarts.searcher.restore": "zarts.engine.opened",
            "zarts.searcher.relaxation": "zarts.engine.relaxing",
            "zarts.searcher.phases": ["zarts.engine.stages", "zarts.engine.starts"],
            "zarts.searcher.noise_monitor": "zarts.engine.signal_watch",
            "zarts.searcher.supernets": "zarts.engine.supernets",
            "zarts.searcher.result": "zarts.engine.result",
        },
        "docs": {"zarts.searcher.run_search": "From settings to the results of a search, in its run folder."},
        "inits": {
            "zarts.searcher": (
                "The search: its steps, phases and early end, from settings to a result in a run folder.\n\n"
                "Outside, use `search` to make one and `open_search` to look into one that is there.\n",
                ["search", "SearchResult", "OpenedSearch", "open_search"],
            )
        },
    },
    "training": {
        "moves": {
            "zarts.training.lr_schedule": ["zarts.engine.schedule", "zarts.training.schedule"],
            "zarts.training.trainer": "zarts.engine.loop",
            "zarts.training.metrics": "zarts.engine.meter",
            "zarts.training.setup": "zarts.engine.setup",
            "zarts.training.memory_forecast": "zarts.engine.probe",
            "zarts.training.memory_check": "zarts.engine.refusal",
            "zarts.training.dry_run": "zarts.engine.rehearsal",
            "zarts.training.stub_forward": "zarts.engine.stand_ins",
            "zarts.training.error_analysis": "zarts.training.details",
            "zarts.training.retrain": ["zarts.training.job", "zarts.training.train"],
            "zarts.training.model_file": "zarts.training.model",
            "zarts.training.warm_start": "zarts.training.start",
            "zarts.training.train_step": "zarts.training.step",
        },
        "docs": {
            "zarts.training.lr_schedule": "Learning rate schedules.",
            "zarts.training.retrain": "The training of a derived network from scratch, and its test.\n\n"
            "Source: DARTS (ICLR 2019), section 3.2; ZARTS (NeurIPS 2022), supplementary 2.2.\n"
            "Differs: the accuracy of the last epoch is the result; the released code of ZARTS reports the best of all\n"
            "    epochs on the test images.\n",
        },
    },
    "api": {
        "moves": {
            "zarts.api._search": ["zarts.api.frame", "zarts.api.searching"],
            "zarts.api._retrain": "zarts.api.retraining",
            "zarts.api._retrain_source": "zarts.api.starting",
            "zarts.api._evaluate": "zarts.api.evaluating",
            "zarts.api._export": "zarts.api.exporting",
            "zarts.api._analyze": ["zarts.api.landscaping", "zarts.api.looking_into"],
            "zarts.api._query": "zarts.api.looking_up",
            "zarts.api.callbacks": "zarts.api.loggers",
            "zarts.api._architecture": "zarts.sources",
            "zarts.api._ranks": ["zarts.engine.join", "zarts.engine.launch"],
        },
        "docs": {
            "zarts.api._search": "The search, from settings to a finished run folder, on one rank or several.",
            "zarts.api._analyze": "The landscape and the diagnosis of a search that is there.",
            "zarts.api._ranks": "How many ranks a command takes, starting them, and joining those that torchrun has started.",
        },
        "emptied": ["zarts.engine"],
    },
    "bench": {
        "moves": same_room(
            "bench", query="lookup", natsbench_files="official", loaders="readers", true_accuracy="truth"
        ),
    },
    "analysis": {
        "moves": same_room(
            "analysis",
            variance_components="components",
            condition_number="condition",
            landscape_cache="kept",
            candidate_noise="measurement",
            loss_surface="survey",
        ),
    },
    "exports": {
        "moves": same_room(
            "exports", model_card="card", inference="opened", codegen="python_file", preprocessing="served"
        ),
    },
    "reports": {
        "moves": {
            f"zarts.reports.{new}": old
            for new, old in {
                "comparison": ["zarts.report.columns", "zarts.report.comparison"],
                "static_charts": "zarts.report.curves",
                "epoch_charts": "zarts.report.epochs",
                "summary": ["zarts.report.facts", "zarts.report.kept"],
                "cell_view": "zarts.report.found",
                "plotly_charts": "zarts.report.interactive",
                "node_order": "zarts.report.order",
                "run_page": "zarts.report.page",
                "theme": "zarts.report.palette",
                "primitives": "zarts.report.shapes",
                "timeline": "zarts.report.strip",
                "landscape_data": "zarts.report.surfaces",
                "error_section": "zarts.report.tested",
                "collapse": "zarts.report.watch",
                "edge_weights": "zarts.report.weights",
            }.items()
        },
        "before": [
            ("src/zarts/report/columns.py", "def title(", "def column_title("),
            ("src/zarts/report/columns.py", '"spread_text", "title"]', '"spread_text", "column_title"]'),
            (
                "src/zarts/report/comparison.py",
                "import MORE, data_title, spread_text\nfrom zarts.report.columns import title as title_of",
                "import MORE, column_title, data_title, spread_text",
            ),
            ("src/zarts/report/comparison.py", "(title_of(key", "(column_title(key"),
            (
                "src/zarts/comparison/formats.py",
                "import MORE, spread_text, title",
                "import MORE, column_title, spread_text",
            ),
            ("src/zarts/comparison/formats.py", "(title(key", "(column_title(key"),
        ],
        "folders": {"zarts.report": "zarts.reports"},
        "docs": {"zarts.reports.comparison": "The page of a comparison, and the words and columns of its tables."},
        "edits": [
            ("src/zarts/reports/__init__.py", '"Curve": "curves"', '"Curve": "static_charts"'),
            ("src/zarts/reports/__init__.py", '"draw_curves": "curves"', '"draw_curves": "static_charts"'),
            ("src/zarts/reports/__init__.py", '"draw_strip": "strip"', '"draw_strip": "timeline"'),
            ("src/zarts/reports/__init__.py", '"write_report": "page"', '"write_report": "run_page"'),
        ],
    },
    "comparison": {
        "moves": {
            **same_room(
                "comparison",
                results="results+found",
                export_tables="formats",
                scorer="judge",
                tabular="lookups",
                retrained="retrainings",
                search_only="unjudged",
                footnotes="notes",
                trials="plan",
                grid="rows",
                run_comparison="run",
                runner="searching",
                tables="sections+plain",
                history="epochs",
            ),
            **same_room("comparison.engines", ray_engine="on_ray", local="processes", resources="room"),
        },
    },
    "cli": {"moves": same_room("cli", compare="comparing", ls="listing", query="lookup", distributed="speaker")},
}
