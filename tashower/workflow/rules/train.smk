rule train_network:
    input:
        train_events=lambda wildcards: first_chunks(EVENTS, wildcards.network),
        train_fits=lambda wildcards: first_chunks(FITS, wildcards.network),
        validation_events=lambda wildcards: validation_chunks(EVENTS, wildcards.network),
        validation_fits=lambda wildcards: validation_chunks(FITS, wildcards.network),
        stations=stations_file(is_informed),
    output:
        checkpoint=f"{RESULTS}/networks/{{network}}/checkpoint.pt",
        history=f"{RESULTS}/networks/{{network}}/history.json",
    log:
        f"{RESULTS}/logs/train_network/{{network}}.log",
    benchmark:
        f"{RESULTS}/benchmarks/train_network/{{network}}.tsv"
    # The networks that read waveforms take longest: they start first.
    priority:
        lambda wildcards: (
            10 if CONFIG["networks"][wildcards.network]["inputs"]["waveforms"] else 0
        )
    conda:
        "../environment.yml"
    threads:
        lambda wildcards: TRAINING[wildcards.network]["threads"]
        * TRAINING[wildcards.network]["processes"]
    resources:
        mem_mb=memory("train_network"),
        runtime=lambda wildcards, attempt: minutes(
            "train_network", TRAINING[wildcards.network]["epochs"]
        )(wildcards, attempt),
        gpu=lambda wildcards: gpus(wildcards.network)
        * TRAINING[wildcards.network]["processes"],
    params:
        config=handed("train"),
        made_by=lambda wildcards: trained(wildcards.network),
        train_events=lambda wildcards, input: counted(input.train_events),
        train_fits=lambda wildcards, input: counted(input.train_fits),
        validation_events=lambda wildcards, input: counted(input.validation_events),
        validation_fits=lambda wildcards, input: counted(input.validation_fits),
        stations=with_stations(is_informed),
    shell:
        "tashower train --config {params.config:q} --network {wildcards.network}"
        " --train-events {params.train_events} --train-fits {params.train_fits}"
        " --validation-events {params.validation_events} --validation-fits {params.validation_fits}"
        " {params.stations:q} --output {output.checkpoint:q} 2>&1 | tee {log:q}"


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
        "../environment.yml"
    threads: lambda wildcards: TRAINING[wildcards.network]["threads"]
    resources:
        mem_mb=memory("apply_network"),
        runtime=minutes("apply_network"),
        gpu=lambda wildcards: gpus(wildcards.network),
    params:
        device=device,
        made_by=lambda wildcards: corrected(
            wildcards.network, wildcards.split, wildcards.chunk
        ),
    shell:
        "tashower apply {input.checkpoint:q} --events {input.events:q} --fits {input.fits:q}"
        " --device {params.device} --output {output:q} 2>&1 | tee {log:q}"
