"""A ceiling: nginx answers a constant without reading the body: nginx_constant.py PORT PROGRAM"""

import os
import sys
import tempfile
from pathlib import Path

CONFIGURATION = """
daemon off;
master_process off;
pid {folder}/pid;
error_log stderr error;
events {{ worker_connections 4096; }}
http {{
  access_log off;
  keepalive_requests 1000000000;
  client_max_body_size 0;
  client_body_temp_path {folder};
  proxy_temp_path {folder};
  fastcgi_temp_path {folder};
  uwsgi_temp_path {folder};
  scgi_temp_path {folder};
  server {{
    listen 127.0.0.1:{port};
    location / {{ return 200 "ok"; }}
  }}
}}
"""

if __name__ == "__main__":
    port, program = sys.argv[1:]
    folder = Path(tempfile.gettempdir()) / f"nginx-{port}"
    folder.mkdir(exist_ok=True)
    (folder / "nginx.conf").write_text(CONFIGURATION.format(folder=folder, port=port))
    os.execv(program, [program, "-p", folder, "-c", folder / "nginx.conf"])
