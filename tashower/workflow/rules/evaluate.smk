rule score_methods:
    input:
        events=chunks(EVENTS, "test"),
        fits=chunks(FITS, "test"),
        calibration=f"{RESULTS}/calibration.json",
        networks=[path for name in NETWORKS for path in applied(name)],
        histories=[f"{RESULTS}/networks/{name}/history.json" for name in NETWORKS],
    output:
        scores=f"{RESULTS}/scores.json",
        tables=f"{RESULTS}/scores.md",
        figures=directory(f"{RESULTS}/figures"),
    log:
        f"{RESULTS}/logs/score_methods.log",
    benchmark:
        f"{RESULTS}/benchmarks/score_methods.tsv"
    conda:
        "../environment.yml"
    resources:
        mem_mb=memory("score_methods"),
        runtime=minutes("score_methods"),
    params:
        config=handed("score"),
        made_by=scored(),
        networks=lambda wildcards, input: named(
            [name for name in NETWORKS for _ in applied(name)], input.networks
        ),
    shell:
        "tashower score --config {params.config:q} --events {input.events:q} --fits {input.fits:q}"
        " --network {params.networks:q} --calibration {input.calibration:q} --output {output.scores:q} 2>&1 | tee {log:q}"


rule write_report:
    input:
        scores=f"{RESULTS}/scores.json",
        figures=f"{RESULTS}/figures",
        generated=[f"{RESULTS}/generated.html"] if GENERATORS else [],
    output:
        report(
            f"{RESULTS}/report.html", caption="../report/report.rst", category="Report"
        ),
    log:
        f"{RESULTS}/logs/write_report.log",
    benchmark:
        f"{RESULTS}/benchmarks/write_report.tsv"
    conda:
        "../environment.yml"
    resources:
        mem_mb=memory("write_report"),
        runtime=minutes("write_report"),
    params:
        config=handed("report"),
        made_by=reported(),
        benchmarks=f"{RESULTS}/benchmarks",
    shell:
        "tashower report --config {params.config:q} --scores {input.scores:q} --benchmarks {params.benchmarks:q}"
        " --output {output:q} 2>&1 | tee {log:q}"
