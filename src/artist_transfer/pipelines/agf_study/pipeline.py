"""Wiring of the study: the rooms of the main job up to the factors, then all cases."""

from kedro.pipeline import Node, Pipeline

from artist_transfer.pipelines import group_factors, ingestion, mel_cache, splitting
from artist_transfer.pipelines.agf_study import grid, open_choices, plan, reports, scoring

TRACKS = ["usable_table", "split_table", "mel_manifest"]
DEVICE = ["params:device", "params:threads"]
FACTORS = ["subgenres_factor_table", "essentia_factor_table", "dmfcc_factor_table", "mfcc_factor_table"]
MANIFESTS = ["mel_manifest", "essentia_manifest"]
TABLES = [
    "study_case_table",
    "study_score_table",
    "study_mean_table",
    "study_best_table",
    "study_comparison_table",
    "study_ablation_table",
    "study_groups_table",
]


def create_pipeline(**kwargs: object) -> Pipeline:
    """Put the study together.

    Parameters
    ----------
    **kwargs : object
        Unused; Kedro's convention.

    Returns
    -------
    Pipeline
        From raw files to the page.
    """
    rooms = [
        ingestion.create_pipeline(),
        mel_cache.create_pipeline(),
        splitting.create_pipeline().only_nodes("report_leakage"),
        group_factors.create_pipeline(tasks="study_tasks_facts"),
    ]
    return sum(rooms, _study())


def _study() -> Pipeline:
    return Pipeline(
        nodes=[
            Node(
                plan.plan_study,
                inputs=["params:study", "params:tasks", "params:embeddings"],
                outputs=["study_plan_facts", "study_tasks_facts"],
                name="plan_study",
            ),
            Node(
                plan.split_for_study,
                inputs=["usable_table", "study_plan_facts", "params:split", "params:splitting", "params:folds"],
                outputs=["split_table", "split_facts", "study_fold_table"],
                name="split_for_study",
            ),
            Node(
                grid.learn_study_nets,
                inputs=[
                    "study_plan_facts",
                    *TRACKS,
                    *FACTORS,
                    "params:factors",
                    "params:study",
                    "params:training",
                    *DEVICE,
                    "params:cache_root",
                ],
                outputs="study_nets_manifest",
                name="learn_study_nets",
            ),
            Node(
                grid.evaluate_study,
                inputs=[
                    "study_plan_facts",
                    "study_nets_manifest",
                    "study_fold_table",
                    *TRACKS,
                    "params:transfer",
                    *DEVICE,
                    "params:seed",
                    "params:cache_root",
                ],
                outputs=["study_predictions_table", "study_case_table"],
                name="evaluate_study",
            ),
            Node(
                reports.list_runs,
                inputs=[
                    "study_plan_facts",
                    "study_predictions_table",
                    "study_case_table",
                    "study_nets_manifest",
                    "study_fold_table",
                    "params:split",
                    "params:corpus",
                ],
                outputs="study_runs",
                name="list_study_runs",
            ),
            Node(
                scoring.score_study,
                inputs=["study_predictions_table", "study_case_table", "params:study", "params:tasks", "params:seed"],
                outputs=[
                    "study_score_table",
                    "study_mean_table",
                    "study_best_table",
                    "study_comparison_table",
                    "study_score_facts",
                    "study_metrics",
                ],
                name="score_study",
            ),
            Node(
                open_choices.ablate,
                inputs=[
                    "study_plan_facts",
                    "study_score_facts",
                    "usable_table",
                    *MANIFESTS,
                    "params:factors",
                    "params:study",
                    "params:training",
                    "params:transfer",
                    "params:split",
                    "params:splitting",
                    "params:folds",
                    "params:fit_on",
                    *DEVICE,
                    "params:seed",
                    "params:cache_root",
                ],
                outputs="study_ablation_table",
                name="ablate",
            ),
            Node(
                open_choices.choose_group_number,
                inputs=[
                    "study_tasks_facts",
                    "usable_table",
                    "split_table",
                    *MANIFESTS,
                    "params:factors",
                    "params:study",
                    "params:fit_on",
                    "params:seed",
                    "params:cache_root",
                ],
                outputs="study_groups_table",
                name="choose_group_number",
            ),
            *reports.create_nodes(TABLES),
        ]
    )
