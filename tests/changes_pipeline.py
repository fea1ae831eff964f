"""A pipeline of shell commands under the names of the real one, for tests of what would run."""

PIPELINE = {
    "stages": {
        "student": {
            "cmd": "mkdir -p build/student && cp notes/* build/student && echo c > build/student/c",
            "deps": ["notes"],
            "params": ["student"],
            "outs": ["build/student"],
        },
        "train": {
            "foreach": ["direct", "selected"],
            "do": {
                "cmd": "mkdir -p build/checkpoints && cp build/student/a build/checkpoints/${item}",
                "deps": ["build/student"],
                "params": ["train"],
                "outs": ["build/checkpoints/${item}"],
            },
        },
        "report": {
            "cmd": "cat build/checkpoints/* > build/report.html",
            "deps": ["build/checkpoints"],
            "outs": ["build/report.html"],
        },
    }
}
