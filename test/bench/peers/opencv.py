"""OpenCV's own YuNet and SFace: for each line on stdin one frame, faces found on stdout."""
import sys

import cv2
import numpy as np

yunet, sface, width, height, path = sys.argv[1:]
cv2.setNumThreads(1)
size = (int(width), int(height))
frame = np.fromfile(path, dtype=np.uint8).reshape(size[1], size[0], 3)
frame = cv2.cvtColor(frame, cv2.COLOR_RGB2BGR)
detector = cv2.FaceDetectorYN.create(yunet, "", size, 0.7, 0.3)
recogniser = cv2.FaceRecognizerSF.create(sface, "")
print(cv2.__version__, flush=True)
for _ in sys.stdin:
    _, faces = detector.detect(frame)
    faces = [] if faces is None else faces
    for face in faces:
        recogniser.feature(recogniser.alignCrop(frame, face))
    print(len(faces), flush=True)
