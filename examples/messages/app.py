"""What one worker is told, all of them know: `kore examples/messages/app.py`."""

import os

import kore

kore.config.workers = 3
kore.server(ip="127.0.0.1", port=os.environ.get("PORT", "8888"), tls=False)
kore.domain("*")


class App:
    def __init__(self):
        self.notes = {}

    def onmsg(self, obj):
        match obj:
            case ("note", name, text):
                self.notes[name] = text
            case ("which notes?", number):
                kore.sendobj(("notes", self.notes), worker=number)
            case ("notes", notes):
                self.notes.update(notes)

    def workerstart(self):
        kore.sendobj(("which notes?", kore.worker()))  # this one may be new among others


koreapp = App()


@kore.route("^/notes/([a-z]+)$", methods=["get", "put"])
def note(req, name):
    if req.method == kore.HTTP_METHOD_PUT:
        kore.sendobj(("note", name, req.body.decode()))
        req.response(202, b"")
    elif name in koreapp.notes:
        req.response(200, f"{koreapp.notes[name]}, says worker {kore.worker()}\n")
    else:
        req.response(404, b"no such note\n")
