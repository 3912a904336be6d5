#!/usr/bin/python3
"""What a person's hands do in Carrel's window, found by the names that the accessibility bus gives.

usage: ui.py sees TEXT        exit 0 when something on the screen has a name that begins so
       ui.py click TEXT       a mouse click in its middle
       ui.py drop ADDRESS     drags a file from a window of its own onto Carrel's
"""
import subprocess
import sys

import gi

gi.require_version("Atspi", "2.0")
gi.require_version("Gdk", "3.0")
gi.require_version("Gtk", "3.0")
from gi.repository import Atspi, Gdk, GLib, Gtk  # noqa: E402


def named(node, text):
    """The first of what is shown under node, in the window's order, whose name begins so."""
    if node is None:
        return None
    if (node.get_name() or "").startswith(text) and node.get_state_set().contains(Atspi.StateType.SHOWING):
        return node
    children = (node.get_child_at_index(i) for i in range(node.get_child_count()))
    return next((found for child in children if (found := named(child, text))), None)


def find(text):
    desktop = Atspi.get_desktop(0)
    applications = (desktop.get_child_at_index(i) for i in range(desktop.get_child_count()))
    return next((found for one in applications if one and one.get_name() == "carrel" and (found := named(one, text))), None)


def xdotool(*words):
    subprocess.run(["xdotool", *map(str, words)], check=True)


def click(text):
    found = find(text)
    if not found:
        return f"nothing on the screen is called {text}"
    box = found.get_extents(Atspi.CoordType.SCREEN)
    xdotool("mousemove", box.x + box.width // 2, box.y + box.height // 2, "click", 1)
    return None


def drop(address):
    """Real drag and drop between two programs: GTK's side here, Qt's there."""
    source = Gtk.Window(title="Files")
    source.set_default_size(120, 80)
    source.move(1320, 400)
    source.add(Gtk.Label(label=address.rsplit("/", 1)[1]))
    source.drag_source_set(Gdk.ModifierType.BUTTON1_MASK, None, Gdk.DragAction.COPY)
    source.drag_source_add_uri_targets()
    source.connect("drag-data-get", lambda _w, _c, data, *_: data.set_uris([address]))
    source.connect("drag-end", lambda *_: GLib.timeout_add(300, Gtk.main_quit))
    source.show_all()
    GLib.timeout_add(20_000, lambda: sys.exit("the drop did not end"))
    moves = " ".join(f"mousemove {x} 440 sleep 0.05" for x in range(1370, 600, -60))
    GLib.timeout_add(500, lambda: subprocess.Popen(["xdotool", *f"mousemove 1380 440 mousedown 1 {moves} sleep 0.3 mouseup 1".split()]) and False)
    Gtk.main()


if __name__ == "__main__":
    action, text = sys.argv[1:3]
    if action == "drop":
        sys.exit(drop(text))
    if action == "click":
        sys.exit(click(text))
    sys.exit(0 if find(text) else 1)
