rule train_network:
    input:
        train_events=chunks(EVENTS, "train"),
        train_fits=chunks(FITS, "train"),
        validation_events=chunks(EVENTS, "validation"),
        validation_fits=chunks(FITS, "validation"),
    output:
        checkpoint=f"{RESULTS}/networks/{{network}}/checkpoint.pt",
        history=f"{RESULTS}/networks/{{network}}/history.json",
    log:
        f"{RESULTS}/logs/train_network/{{network}}.log",
    benchmark:
        f"{RESULTS}/benchmarks/train_network/{{network}}.tsv"
    # The networks that read waveforms take longest: they start first.
    priority: lambda wildcards: 10 if CONFIG["networks"][wildcards.network]["waveforms"] else 0
    conda:
        "../../environment.yml"
    threads: CONFIG["training"]["threads"]
    resources:
        mem_mb=8000,
        runtime=720,
        gpu=GPUS,
    params:
        config=section("reconstruction", "network", "training", "networks"),
        code=package_code("physics", "events", "network"),
    shell:
        "tashower train --config {params.config:q} --network {wildcards.network}"
        " --train-events {input.train_events} --train-fits {input.train_fits}"
        " --validation-events {input.validation_events} --validation-fits {input.validation_fits}"
        " --output {output.checkpoint} 2>&1 | tee {log}"


rule apply_network:
    input:
        checkpoint=f"{RESULTS}/networks/{{network}}/checkpoint.pt",
        events=EVENTS,
        fits=FITS,
    output:
        f"{RESULTS}/networks/{{network}}/{{split}}/{{chunk}}.h5",
    log:
        f"{RESULTS}/logs/apply_network/{{network}}-{{split}}-{{chunk}}.log",
    benchmark:
        f"{RESULTS}/benchmarks/apply_network/{{network}}-{{split}}-{{chunk}}.tsv"
    conda:
        "../../environment.yml"
    threads: CONFIG["training"]["threads"]
    resources:
        mem_mb=4000,
        runtime=60,
        gpu=GPUS,
    params:
        code=package_code("network"),
    shell:
        "tashower apply {input.checkpoint} --events {input.events} --fits {input.fits}"
        " --output {output} 2>&1 | tee {log}"
