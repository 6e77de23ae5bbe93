rule calibrate_fit:
    input:
        chunks(EVENTS, "calibration"),
    output:
        f"{RESULTS}/calibration.json",
    log:
        f"{RESULTS}/logs/calibrate_fit.log",
    benchmark:
        f"{RESULTS}/benchmarks/calibrate_fit.tsv"
    conda:
        "../environment.yml"
    resources:
        mem_mb=memory("calibrate_fit"),
        runtime=minutes("calibrate_fit"),
    params:
        config=section("reconstruction"),
        code=package_code("physics", "events", "io", "reconstruction", "calibration"),
    shell:
        "tashower calibrate {input:q} --config {params.config:q} --output {output:q} 2>&1 | tee {log:q}"


rule reconstruct_events:
    input:
        events=EVENTS,
        calibration=f"{RESULTS}/calibration.json",
    output:
        FITS,
    log:
        f"{RESULTS}/logs/reconstruct_events/{{split}}-{{chunk}}.log",
    benchmark:
        f"{RESULTS}/benchmarks/reconstruct_events/{{split}}-{{chunk}}.tsv"
    conda:
        "../environment.yml"
    resources:
        mem_mb=memory("reconstruct_events"),
        runtime=minutes("reconstruct_events"),
    params:
        config=section("reconstruction"),
        code=package_code("physics", "events", "io", "reconstruction", "calibration"),
    shell:
        "tashower fit {input.events:q} --calibration {input.calibration:q} --config {params.config:q}"
        " --output {output:q} 2>&1 | tee {log:q}"
