# SPDX-License-Identifier: Apache-2.0
"""The container image: unpacked, and run with nothing but what is inside, against a real API server."""
import base64
import glob
import os
import subprocess

from pod import unpack_image

def test_serves_from_the_unpacked_root_file_system(start_site):
    site = start_site(start=False)
    root = os.path.join(site.world.dir, "root")
    unpack_image(root)
    assert not glob.glob(root + "/bin/*") and not glob.glob(root + "/usr/bin/*"), "no shell inside"

    def data(name):
        return base64.b64encode(site.api.read(name).encode()).decode()
    user = {"client-certificate-data": data("admin.crt"), "client-key-data": data("admin.key")}
    config = site.api.write_kubeconfig("inside", user=user, **{"certificate-authority-data": data("ca.crt"),
                                                               "certificate-authority": ""})
    with open(config, encoding="utf-8") as file, open(root + "/tmp/config", "w", encoding="utf-8") as copy:
        copy.write(file.read())
    site.backend("web", "10.200.7.1")
    site.ingress("web", "web.example")
    subprocess.run(["mount", "-t", "proc", "proc", root + "/proc"], check=True)
    site.world.on_close(subprocess.run, ["umount", "-l", root + "/proc"])
    sluice = site.make_sluice(kubeconfig="/tmp/config", run_dir="/run/sluice")
    sluice.arguments = ["chroot", root, "/usr/local/sbin/sluice", *sluice.arguments[1:]]
    sluice.start()
    site.wait_served("web.example")
    assert sluice.stop() == 0
