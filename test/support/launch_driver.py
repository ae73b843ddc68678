"""What ``ros2 launch FILE [NAME:=VALUE ...]`` does, where only launch itself is installed."""

import sys

from launch import LaunchDescription, LaunchService
from launch.actions import IncludeLaunchDescription
from launch.launch_description_sources import PythonLaunchDescriptionSource

if __name__ == "__main__":
    path, *words = sys.argv[1:]
    arguments = [tuple(word.split(":=", 1)) for word in words]
    service = LaunchService(argv=words, noninteractive=True)
    source = PythonLaunchDescriptionSource(path)
    include = IncludeLaunchDescription(source, launch_arguments=arguments)
    service.include_launch_description(LaunchDescription([include]))
    sys.exit(service.run())
