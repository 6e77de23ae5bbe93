rule convert_data:
    input:
        files=DATA["files"],
        stations=[DATA["stations"]] if DATA["stations"] else [],
    output:
        f"{RESULTS}/data/events.h5",
    log:
        f"{RESULTS}/logs/convert_data.log",
    benchmark:
        f"{RESULTS}/benchmarks/convert_data.tsv"
    conda:
        "../environment.yml"
    resources:
        mem_mb=memory("reconstruct_events"),
        runtime=minutes("reconstruct_events"),
    params:
        stations=["--stations", DATA["stations"]] if DATA["stations"] else [],
        format=["--format", DATA["format"]] if DATA["format"] != "auto" else [],
        lateral=[
            *["--lateral", CONFIG["array"]["lateral"]],
            *["--reference", CONFIG["array"]["reference_m"]],
            *[
                "--front",
                *(
                    CONFIG["array"][f"front_{key}"]
                    for key in ("distance_m", "power", "density_power")
                ),
            ],
        ],
        made_by=converted(),
    shell:
        "tashower convert {input.files:q} {params.stations:q} {params.format:q} {params.lateral:q} --to {output:q} 2>&1 | tee {log:q}"


rule fit_data:
    input:
        events=f"{RESULTS}/data/events.h5",
        calibration=DATA["calibration"] or f"{RESULTS}/calibration.json",
        stations=stations_file(),
    output:
        f"{RESULTS}/data/fits.h5",
    log:
        f"{RESULTS}/logs/fit_data.log",
    benchmark:
        f"{RESULTS}/benchmarks/fit_data.tsv"
    conda:
        "../environment.yml"
    resources:
        mem_mb=memory_of_files("reconstruct_tested"),
        runtime=minutes("reconstruct_tested"),
    params:
        config=handed("fit"),
        stations=with_stations(),
        made_by=fitted_data(),
    shell:
        "tashower fit {input.events:q} --calibration {input.calibration:q} --config {params.config:q}"
        " {params.stations:q} --output {output:q} 2>&1 | tee {log:q}"


rule apply_to_data:
    input:
        checkpoint=lambda wildcards: CHECKPOINTS[wildcards.network],
        events=f"{RESULTS}/data/events.h5",
        fits=f"{RESULTS}/data/fits.h5",
    output:
        f"{RESULTS}/data/networks/{{network}}.h5",
    log:
        f"{RESULTS}/logs/apply_to_data/{{network}}.log",
    benchmark:
        f"{RESULTS}/benchmarks/apply_to_data/{{network}}.tsv"
    conda:
        "../environment.yml"
    threads: CONFIG["training"]["threads"]
    resources:
        mem_mb=memory_of_files("apply_network"),
        runtime=minutes("apply_network"),
        gpu=gpus(),
    params:
        device=device,
        made_by=lambda wildcards: corrected_data(wildcards.network),
    shell:
        "tashower apply {input.checkpoint:q} --events {input.events:q} --fits {input.fits:q}"
        " --device {params.device} --output {output:q} 2>&1 | tee {log:q}"


rule report_data:
    input:
        events=f"{RESULTS}/data/events.h5",
        fits=f"{RESULTS}/data/fits.h5",
        calibration=DATA["calibration"] or f"{RESULTS}/calibration.json",
        simulated=[] if DATA["calibration"] else chunks(FITS, "test"),
        networks=[f"{RESULTS}/data/networks/{name}.h5" for name in CHECKPOINTS],
    output:
        report(
            f"{RESULTS}/data/report.html",
            caption="../report/report.rst",
            category="Report",
        ),
    log:
        f"{RESULTS}/logs/report_data.log",
    benchmark:
        f"{RESULTS}/benchmarks/report_data.tsv"
    conda:
        "../environment.yml"
    resources:
        mem_mb=memory_of_files("score_methods"),
        runtime=minutes("score_methods"),
    params:
        config=handed("report-data"),
        made_by=reported_data(),
        networks=lambda wildcards, input: named(CHECKPOINTS, input.networks),
    shell:
        "tashower report-data --config {params.config:q} --events {input.events:q} --fits {input.fits:q}"
        " --network {params.networks:q} --calibration {input.calibration:q} --simulated-fits {input.simulated:q} --output {output:q} 2>&1 | tee {log:q}"
