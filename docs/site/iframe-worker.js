// A browser starts no worker of a page that lies on a disk: there a hidden frame stands in for it, so that the search works.
if (location.protocol === "file:") {
  window.Worker = class extends EventTarget {
    constructor(address) {
      super();
      this.waiting = [];
      const frame = document.createElement("iframe");
      frame.hidden = true;
      frame.src = "about:blank";
      document.documentElement.append(frame);
      const inside = frame.contentWindow;
      // Listeners of the worker get what is posted to it; what it posts comes back here.
      const listeners = [];
      inside.addEventListener = (kind, listener) => kind === "message" && listeners.push(listener);
      inside.postMessage = (data) => this.dispatchEvent(new MessageEvent("message", { data }));
      this.deliver = (data) => listeners.forEach((listener) => listener(new MessageEvent("message", { data })));
      const script = frame.contentDocument.createElement("script");
      script.src = address;
      script.onload = () => {
        this.waiting.forEach((data) => this.deliver(data));
        this.waiting = null;
      };
      frame.contentDocument.head.append(script);
    }

    postMessage(data) {
      if (this.waiting) this.waiting.push(data);
      else this.deliver(data);
    }
  };
}
