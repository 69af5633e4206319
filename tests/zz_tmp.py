from test_service import *

ALL = ["items", "accounts", "tasks"]


@pytest.mark.parametrize(
    "answers",
    [
        {
            "package_name": "shop",
            "database": "postgresql",
            "sessions": "sync",
            "web": "fastapi",
            "examples": ALL,
        },
        {
            "package_name": "shop",
            "database": "postgresql",
            "sessions": "async",
            "web": "fastapi",
            "examples": ALL,
        },
        {
            "package_name": "shop",
            "database": "sqlite",
            "sessions": "sync",
            "web": "fastapi",
            "examples": ALL,
        },
    ],
    ids=name_of,
)
def test_suite(renderer, tmp_path, answers, postgres_url):
    test_its_own_tests_pass(renderer, tmp_path, answers, postgres_url)
