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
        config=handed("calibrate"),
        made_by=calibrated(),
    shell:
        "tashower calibrate {input:q} --config {params.config:q} --output {output:q} 2>&1 | tee {log:q}"


rule train_station_likelihood:
    output:
        f"{RESULTS}/station_likelihood.json",
    log:
        f"{RESULTS}/logs/train_station_likelihood.log",
    benchmark:
        f"{RESULTS}/benchmarks/train_station_likelihood.tsv"
    # It takes long, and waits for nothing.
    priority: 20
    conda:
        "../environment.yml"
    resources:
        mem_mb=memory("train_station_likelihood"),
        runtime=minutes("train_station_likelihood"),
    params:
        config=handed("station-likelihood"),
        made_by=learned(),
    shell:
        "tashower station-likelihood --config {params.config:q} --output {output:q} 2>&1 | tee {log:q}"


rule reconstruct_events:
    input:
        events=EVENTS,
        calibration=f"{RESULTS}/calibration.json",
        stations=stations_file(is_tested),
    output:
        FITS,
    log:
        f"{RESULTS}/logs/reconstruct_events/{{split}}-{{chunk}}.log",
    benchmark:
        f"{RESULTS}/benchmarks/reconstruct_events/{{split}}-{{chunk}}.tsv"
    conda:
        "../environment.yml"
    resources:
        mem_mb=lambda wildcards, attempt: memory(
            measured_as("reconstruct_events", wildcards.split)
        )(wildcards, attempt),
        runtime=lambda wildcards, attempt: minutes(
            measured_as("reconstruct_events", wildcards.split)
        )(wildcards, attempt),
    params:
        config=handed("fit"),
        stations=with_stations(is_tested),
        made_by=lambda wildcards: fitted(wildcards.split, wildcards.chunk),
    shell:
        "tashower fit {input.events:q} --calibration {input.calibration:q} --config {params.config:q}"
        " {params.stations:q} --output {output:q} 2>&1 | tee {log:q}"
