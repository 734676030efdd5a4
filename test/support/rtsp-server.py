"""A network camera: numbered JPEG pictures, over and over, as RTSP on 127.0.0.1 behind a password.

Usage: rtsp-server.py <pattern, as in f%02d.jpg>, with "user password" as first line of stdin.
Prints its port when it listens; ends when stdin does.
"""
import sys
import gi

gi.require_version("Gst", "1.0")
gi.require_version("GstRtspServer", "1.0")
from gi.repository import GLib, Gst, GstRtspServer

Gst.init(None)
pattern = sys.argv[1]
user, password = sys.stdin.readline().split()
server = GstRtspServer.RTSPServer()
server.set_address("127.0.0.1")
server.set_service("0")

factory = GstRtspServer.RTSPMediaFactory()
factory.set_shared(True)
factory.set_launch(
    f"( multifilesrc location={pattern} loop=true caps=image/jpeg,framerate=10/1 ! jpegdec"
    " ! videoconvert ! video/x-raw,format=I420 ! jpegenc quality=90 ! rtpjpegpay name=pay0 pt=26 )"
)
permissions = GstRtspServer.RTSPToken()
permissions.set_string("media.factory.role", user)
factory.add_role_from_structure(
    Gst.Structure.new_from_string(
        f"{user}, media.factory.access=true, media.factory.construct=true"
    )
)
server.get_mount_points().add_factory("/door", factory)
auth = GstRtspServer.RTSPAuth()
auth.add_basic(GstRtspServer.RTSPAuth.make_basic(user, password), permissions)
server.set_auth(auth)

server.attach(None)
print(server.get_bound_port(), flush=True)
loop = GLib.MainLoop()
GLib.io_add_watch(
    GLib.IOChannel.unix_new(0), GLib.PRIORITY_DEFAULT, GLib.IOCondition.HUP, lambda *_: loop.quit()
)
loop.run()
